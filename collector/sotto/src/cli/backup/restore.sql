RESTORE DATABASE sotto FROM File('restore/')
